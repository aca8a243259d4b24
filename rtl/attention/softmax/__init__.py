"""Softmax attention: scores, their largest in each row, a table of exponentials, and one division a row."""
