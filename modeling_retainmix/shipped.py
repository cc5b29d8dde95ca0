"""The encoder that comes with this package, in an installed wheel and in a checkout alike."""

from pathlib import Path

SHIPPED = "retainmix-beats-tiny"

_PACKAGE = Path(__file__).resolve().parent
# The build of a wheel puts it into the package; a checkout holds it as it goes to the Hub.
_PLACES = (_PACKAGE / "shipped_models" / SHIPPED, _PACKAGE.parent / "hub_cards" / SHIPPED)


def shipped_folder() -> Path:
    """Return the folder of the encoder.

    Raises:
        FileNotFoundError: the installation lacks it.
    """
    for place in _PLACES:
        if (place / "config.json").is_file():
            return place
    raise FileNotFoundError(
        f"this installation lacks its encoder, {_PLACES[0]}: install retainmix again, or name another model"
    )
