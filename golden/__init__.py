"""Golden models: what the hardware must compute, and what it approximates.

``arithmetic`` defines the integers that both share: formats, rounding, scales. ``attention`` holds Taylor attention and
its relatives in floating point, and in the integers of the hardware, bit for bit. ``network`` holds the whole Vision
Transformer: the float model, the list of its operations, and the integer-only model that quantization makes of it.
``training`` trains the float model, ``checkpoints`` reads and writes weights, ``reports`` measures, ``workloads`` holds
queries, keys and values of trained models. ``quantization`` leads from a checkpoint to an integer model.

Nothing here imports the hardware, and the hardware imports nothing from here: neither can inherit a mistake
of the other.
"""
