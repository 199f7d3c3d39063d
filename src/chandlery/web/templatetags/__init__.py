"""What templates of ours load."""
