"""The catalogue keeps the rules of a benchmark: splits apart, enough types, mechanisms and unheard events."""

from modeling_retainmix.data.factory.catalogue import MACHINE_TYPES, NOISE_FACTORIES, SPLITS
from modeling_retainmix.data.factory.events import EVENTS
from modeling_retainmix.data.factory.faults import MECHANISMS


def test_splits_share_no_machine_type_and_no_factory():
    types = [t.name for split in SPLITS for t in MACHINE_TYPES[split]]
    factories = [f.name for split in SPLITS for f in NOISE_FACTORIES[split]]
    assert len(types) == len(set(types))
    assert len(factories) == len(set(factories))


def test_splits_have_enough_types_and_factories():
    assert [len(MACHINE_TYPES[split]) for split in SPLITS] == [12, 6, 6]
    assert [len(NOISE_FACTORIES[split]) for split in SPLITS] == [3, 3, 3]


def test_every_machine_type_stands_in_a_factory_of_its_split():
    for split in SPLITS:
        names = {factory.name for factory in NOISE_FACTORIES[split]}
        assert {t.factory for t in MACHINE_TYPES[split]} == names


def test_scored_types_have_five_mechanisms_of_at_least_eight_and_every_mechanism_has_two_types():
    assert len(MECHANISMS) >= 8
    for split in ("validation", "evaluation"):
        faults = [fault for t in MACHINE_TYPES[split] for fault in t.faults]
        assert all(len(set(t.faults)) == 5 for t in MACHINE_TYPES[split])
        assert set(faults) == set(MECHANISMS)
        assert all(faults.count(name) >= 2 for name in MECHANISMS)


def test_worn_gears_only_where_there_is_a_gear():
    for split in ("validation", "evaluation"):
        assert all(t.teeth > 0 for t in MACHINE_TYPES[split] if "gear_wear" in t.faults)


def test_some_event_families_of_the_scored_factories_are_never_heard_in_training():
    heard = {event for factory in NOISE_FACTORIES["train"] for event in factory.events}
    for split in ("validation", "evaluation"):
        events = {event for factory in NOISE_FACTORIES[split] for event in factory.events}
        assert events <= set(EVENTS)
        assert len(events - heard) >= 2
