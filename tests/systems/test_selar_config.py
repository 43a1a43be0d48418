"""Settings that cannot be are refused, with what may be."""

import pytest

from dglmeta.systems import SELAR


@pytest.mark.parametrize(
    "settings",
    [
        {"encoder": "gatt"},
        {"strategy": "best"},
        {"protocol": "published"},
        {"task": "graph"},
        {"look_ahead": "newton"},
        {"normaliser": "none"},
    ],
)
def test_a_choice_that_does_not_exist_is_refused(settings, refused):
    ((name, value),) = settings.items()
    refused(f"expected {name} among .*got '{value}'", **settings)


@pytest.mark.parametrize(
    "name",
    [
        "d",
        "n_layers",
        "batch",
        "lr",
        "weighter_lr",
        "weighter_hidden",
        "folds",
        "epochs",
        "patience",
    ],
)
def test_a_setting_that_must_be_positive_is_checked(name, refused):
    refused(f"expected {name} > 0, got 0", **{name: 0})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"batch": 2}, "batch of at least 3.*got 2"),
        ({"batch": 8, "folds": 9}, "at least 9.*got 8"),
        ({"weight_decay": -1.0}, "weight_decay >= 0, got -1.0"),
        ({"n_hubs": -1}, "n_hubs >= 0, got -1"),
        ({"loss": "mse"}, "expected 'cross-entropy', or 'autolinc:'.*got 'mse'.*A, B, C"),
        ({"loss": "autolinc:Z"}, "got 'Z'.*Losses are A, B, C"),
        ({"loss": "autolinc:y/n"}, "a formula with the logits u, got 'y/n'"),
        ({"averaging": 1.0}, r"averaging in \[0, 1\), got 1.0"),
        ({"dropout": 1.0}, r"dropout in \[0, 1\), got 1.0"),
        ({"dropout": -0.1}, r"dropout in \[0, 1\), got -0.1"),
        ({"attenuation": 0.0}, r"attenuation in \(0, 1\], got 0.0"),
        ({"attenuation": 1.5}, r"attenuation in \(0, 1\], got 1.5"),
        ({"auxiliary": ()}, "expected auxiliary among .*'distance'.*got none"),
        ({"auxiliary": ("metapath", "degrees")}, r"got \['degrees'\]"),
        ({"fanouts": (8, 0)}, r"fanouts of -1 or at least 1, got \(8, 0\)"),
        ({"hint_fanouts": (-2,)}, r"hint_fanouts of -1 or at least 1, got \(-2,\)"),
        ({"fanouts": (1.5,)}, r"got \(1.5,\)"),
        ({"strategy": "selar+hint", "hint_fanouts": ()}, "expected hint_fanouts with strategy"),
        ({"protocol": "paper", "negatives": "drawn"}, "negatives 'stored' under protocol 'paper'"),
    ],
    ids=str,
)
def test_a_setting_outside_its_range_is_refused(wrong, message, refused):
    refused(message, **wrong)


def test_every_setting_that_is_at_the_edge_of_its_range_is_taken():
    SELAR.Config(attenuation=1.0, dropout=0.0, averaging=0.0, weight_decay=0.0, n_hubs=0)
    SELAR.Config(batch=3, folds=3, fanouts=(-1, 1), hint_fanouts=())
