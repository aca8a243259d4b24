"""Training: recipes, images, augmentation, the trainer."""
