"""From the four IDX files of a data set to one packed file that training jobs map into memory."""
