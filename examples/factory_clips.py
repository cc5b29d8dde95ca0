"""Write recordings of six synthetic machines, healthy and faulty, to try the detector on.

python examples/factory_clips.py clips

The machines are the validation machines of the procedural factory, their files lie as those of DCASE Task 2:
`clips/validation_machines/<machine>/{train,test}/`, beside `clips/validation_noise/`. Same options, same samples.
"""

import argparse
import sys
import tempfile

from modeling_retainmix.data.factory import FactoryConfig, build_factory, export_dcase


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output_dir", help="folder to write to; it must be new or empty")
    parser.add_argument("--seed", type=int, default=0, help="of the factory; default: %(default)s")
    parser.add_argument("--references", type=int, default=20, help="per machine and domain; default: %(default)s")
    parser.add_argument("--tests", type=int, default=5, help="per machine, domain and label; default: %(default)s")
    parser.add_argument("--noise", type=int, default=2, help="segments per kind of noise; default: %(default)s")
    options = parser.parse_args()
    try:
        config = FactoryConfig(
            version=3,  # references and tests of one session, as with a recorder that nobody moves in between
            seed=options.seed,
            source_references=options.references,
            target_references=options.references,
            tests_per_cell=options.tests,
            segments_per_kind=options.noise,
        )
        with tempfile.TemporaryDirectory() as tables:
            export_dcase(build_factory(tables, config, splits=["validation"]), options.output_dir)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
