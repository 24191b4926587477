"""From the files of a data set to one packed file that training jobs map into memory."""
