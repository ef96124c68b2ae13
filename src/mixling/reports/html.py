"""The report (to come)."""
def write_report(results, path): path.write_text("")
