"""Which of a packaged file's tables make up the settings of a run."""

from __future__ import annotations

import pytest

from dglmeta.train import packaged_config

PACKAGED = """
[config]
lr = 0.1
epochs = 5
[strategy.selar]
epochs = 6
[method.finetune]
epochs = 7
"""


@pytest.mark.parametrize(
    ("names", "epochs"),
    [
        ({}, 5),
        ({"method": "finetune"}, 7),
        ({"method": "maml"}, 5),
        ({"strategy": "selar", "method": "finetune"}, 7),
        ({"strategy": "finetune"}, 5),
    ],
)
def test_the_table_of_a_method_overrides_all_others(tmp_path, monkeypatch, names, epochs):
    (tmp_path / "meta-graph-some.toml").write_text(PACKAGED)
    monkeypatch.setattr("dglmeta.train.config.resources.files", lambda package: tmp_path)
    assert packaged_config("meta-graph", "some", **names) == {"lr": 0.1, "epochs": epochs}
