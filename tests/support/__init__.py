"""What tests share beside fixtures: pictures, small models, paths and fake services."""
