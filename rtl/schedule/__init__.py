"""What the array does, and when."""
