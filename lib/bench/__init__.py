"""What the library's speed is held against: `python -m bench` and `python -m bench --gpu`."""
