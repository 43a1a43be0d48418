"""What the systems are made of besides the parts they share, a room for each system."""
