"""Which default is the right one? Commands whose tables chose those of the detector and of the factory.

Each module is a command, `python -m modeling_retainmix.evaluation.studies.<name> --help`, except `encoder_on_factory`,
which they share, and `factory_acceptance`, the bounds that `factory_report` prints.
"""
