"""What a training step minimises: one small file each."""
