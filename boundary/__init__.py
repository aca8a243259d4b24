"""Where what users give comes in and what they get goes out: files, their limits, the programs
that commands start, and their one error handler.

Everything but `rtl` may import it; it imports nothing of ours, and no package that the generator does not need.
"""
