import pytest


@pytest.mark.slow
def test_the_demo_runs_on_the_sample_alone_and_goes_on_where_it_was(chain, tmp_path, monkeypatch):
    from mixling.studies.demo import demo

    monkeypatch.setattr("mixling.studies.demo.located", lambda name: None)
    said = []
    report = demo(tmp_path / "demo", 0.02, said.append, str(chain))
    text = "\n".join(said)
    assert report.exists() and "against" in report.read_text()
    assert "One step takes" in text and "minutes buy" in text and "5. [" in text
    again = []
    demo(tmp_path / "demo", 0.02, again.append, str(chain))
    assert not any("trial" in line for line in again)
