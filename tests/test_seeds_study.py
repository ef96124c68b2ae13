"""What studies.seeds keeps of a run, and what it tests."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from studies import seeds

import mixling
from mixling.evaluation.rows import task_rows


def test_the_contributions_of_groups_add_up_to_the_figures(chain):
    result = mixling.evaluate(str(chain), ["sample"])
    found = seeds.of_groups(task_rows(result.scores, "sample"))
    for figure, (scenario, measure) in seeds.FIGURES.items():
        expected = result.summary["tasks"]["sample"][scenario][measure]
        assert sum(found[figure]) == pytest.approx(expected), figure
    assert len({len(v) for v in found.values()}) == 1


def rows(means, spread):
    """Rows of three methods with three seeds, each of 200 groups."""
    rng = np.random.default_rng(0)
    queries = rng.normal(0, 0.1, 200)
    found = []
    for method, mean in means.items():
        for seed in range(3):
            values = (mean + rng.normal(0, spread) + queries + rng.normal(0, 0.02, 200)) / 200
            found.append({"method": method, "seed": seed, **dict.fromkeys(seeds.FIGURES, values)})
    return found


def test_an_order_holds_only_if_it_is_wider_than_seeds_differ():
    means = {"hybrid": 0.5, "JSD": 0.508, "CLEAR": 0.8}
    for spread, far, near in ((0.0001, True, True), (0.02, True, False)):
        made = rows(means, spread)
        plans = {(r["method"], r["seed"]): r["method"] for r in made}
        tested = seeds.test_pairs(made, plans)["multilingual"]
        assert tested["degrees of freedom"] == 6
        pairs = tested["pairs"]
        assert (pairs["hybrid | CLEAR"]["p_holm"] < 0.05) == far
        assert (pairs["hybrid | JSD"]["p"] < 0.05) == near
        assert pairs["hybrid | CLEAR"]["difference"] == pytest.approx(0.3, abs=0.04)


def test_methods_with_the_same_batches_are_compared_seed_by_seed():
    means = {"x-y (XLCO)": 0.5, "JSD": 0.51, "CLEAR": 0.505, "hybrid": 0.5}
    made = rows(means, 0.001)
    for r in made:  # what a seed does to all methods of one batch type
        if r["method"] != "hybrid":
            r.update({f: r[f] + 0.02 * r["seed"] / 200 for f in seeds.FIGURES})
    plans = {(r["method"], r["seed"]): f"{r['method'] == 'hybrid'} {r['seed']}" for r in made}
    tested = seeds.test_pairs(made, plans)["multilingual"]
    assert tested["degrees of freedom"] == 4  # two batch types
    assert tested["degrees of freedom, same batches"] == 4  # three methods, three seeds
    assert tested["deviation over seeds"] > 5 * tested["deviation, same batches"]
    pairs = tested["pairs"]
    assert pairs["x-y (XLCO) | JSD"]["same batches"] and pairs["x-y (XLCO) | JSD"]["p"] < 0.01
    assert not pairs["hybrid | JSD"]["same batches"] and pairs["hybrid | JSD"]["p"] > 0.05


def test_a_run_that_is_there_is_not_trained_again(tmp_path, monkeypatch):
    monkeypatch.setattr(seeds, "CONTRIBUTIONS", tmp_path / "seeds.parquet")
    monkeypatch.setattr(seeds, "RESULT", tmp_path / "seeds.json")
    monkeypatch.setattr(seeds, "METHODS", ("hybrid", "JSD"))
    monkeypatch.setattr(seeds, "LOCATED", tmp_path)
    monkeypatch.setattr(seeds, "TASK", "sample")
    monkeypatch.setattr("sys.argv", ["seeds"])
    made = rows({"hybrid": 0.5, "JSD": 0.6}, 0.01)
    there = [r for r in made if r["method"] == "hybrid"]
    pq.write_table(pa.Table.from_pylist(there, seeds.schema()), seeds.CONTRIBUTIONS)
    runs = [{"method": r["method"], "seed": r["seed"], "plan": f"plan {r['seed']}"} for r in there]
    seeds.RESULT.write_text(json.dumps({"runs": runs}))
    asked = []

    def measure(method, seed, task, out):
        asked.append((method, seed))
        row = next(r for r in made if (r["method"], r["seed"]) == (method, seed))
        return {f: row[f] for f in seeds.FIGURES}, {"plan": f"plan {seed}", "seconds": 1.0}

    monkeypatch.setattr(seeds, "measure", measure)
    seeds.main()
    assert asked == [("JSD", 0), ("JSD", 1), ("JSD", 2)]
    assert len(pq.read_table(seeds.CONTRIBUTIONS)) == 6
    seeds.main()
    assert len(asked) == 3
