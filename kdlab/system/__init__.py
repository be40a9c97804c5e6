"""What every other package builds on: files, cache, processes, hardware, console."""
