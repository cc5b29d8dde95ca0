"""Which default is the right one? Commands whose tables chose those of the detector and of the factory."""
