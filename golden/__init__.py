"""Golden models of Taylor attention: what the hardware must compute, and what it approximates.

``float_attention`` is the algorithm in floating point, ``integer_attention`` the same in the integers of the
hardware, bit for bit, ``quantizer`` the way from the first to the second, ``number_format`` the arithmetic
that both share. ``workloads`` holds queries, keys and values of trained Vision Transformers.

Around it, the models that use such attention: ``vit`` and ``attention`` in floating point, ``training``,
``vit_quantizer`` and ``integer_vit``, the whole network in integers; ``taylorvit`` is their command line.

Nothing here imports the hardware, and the hardware imports nothing from here: neither can inherit a mistake
of the other.
"""
