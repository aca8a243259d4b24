"""The border to the outside: files of users with their limits, tools that commands start, the one error handler.

Everything but `rtl` may import it; it imports nothing of ours, and no package that the generator does not need.
"""
