import pytest


@pytest.mark.slow
def test_the_demo_runs_on_the_sample_alone_and_goes_on_where_it_was(chain, tmp_path, monkeypatch):
    from mixling.studies.demo import demo

    monkeypatch.setattr("mixling.studies.demo.find_source", lambda name: None)
    lines = []
    report = demo(tmp_path / "demo", 0.02, lines.append, str(chain))
    text = "\n".join(lines)
    assert report.exists() and "against" in report.read_text()
    assert "One step takes" in text and "fit into 0.02 minutes" in text and "5. [" in text
    again = []
    demo(tmp_path / "demo", 0.02, again.append, str(chain))
    assert not any("trial" in line for line in again)
