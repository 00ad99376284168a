"""What a compiled program will cost on its device, before there is one."""
