"""What `make bench` runs: our figures beside a baseline that is measured in the same run."""
