"""What every part stands on: files, cache, processes, hardware, what a person sees."""
