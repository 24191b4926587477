"""Turn the files of a data set into one packed file, which training jobs read."""
