"""How one suite is run in several storage modes, tried on small suites of their own."""

import pytest

CONFTEST = """
    import pytest

    pytest_plugins = ["tests.support.mode_selection", "tests.support.mode_matrix"]

    @pytest.fixture(scope="session")
    def storage_mode(request):
        return request.param

    @pytest.fixture
    def database(storage_mode):
        return storage_mode.value
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """Give a folder whose tests know the modes."""
    pytester.makeconftest(CONFTEST)
    return pytester


def run(suite: pytest.Pytester, *options: str) -> pytest.RunResult:
    """Run the suite of a test; it has no asyncio to be configured."""
    return suite.runpytest_inprocess("-p", "no:asyncio", *options)


def ran(result: pytest.RunResult) -> list[str]:
    """List the ids of what ran, by the lines of a verbose run."""
    return [line.split("::")[1].split()[0] for line in result.outlines if "::" in line and "%]" in line]


def test_mode_given_nothing_is_plain(suite: pytest.Pytester) -> None:
    """Without the option a run is short, and its end as it always was."""
    suite.makepyfile("def test_a(database): assert database == 'plain'\ndef test_b(): pass")
    result = run(suite, "-v")
    assert ran(result) == ["test_a[plain]", "test_b"]
    assert not any("tests by mode" in line for line in result.outlines)


def test_mode_given_several_runs_server_by_server(suite: pytest.Pytester) -> None:
    """Each test runs in every mode, one server after the other; what needs none runs once."""
    suite.makepyfile("def test_a(database): pass\ndef test_b(): pass\ndef test_c(database): pass")
    result = run(suite, "-v", "--mode", "apache", "--mode", "plain")
    assert ran(result) == [
        "test_a[plain]",
        "test_c[plain]",
        "test_a[apache]",
        "test_c[apache]",
        "test_b",
    ]


def test_mode_given_another_than_plain_leaves_out_what_has_no_mode(suite: pytest.Pytester) -> None:
    """Tests with servers of their own are plain mode's."""
    suite.makepyfile("def test_a(database): pass\ndef test_b(): pass")
    assert ran(run(suite, "-v", "--mode", "apache")) == ["test_a[apache]"]


def test_matrix_given_every_outcome_counts_each_with_its_reason(suite: pytest.Pytester) -> None:
    """Nothing is missing from the table, and pytest's closing line stays the last."""
    suite.makepyfile("""
        import pytest

        @pytest.fixture
        def broken(database): raise ValueError

        def test_passed(database): pass
        def test_failed(database): assert database == 'plain'
        def test_error(broken): pass
        def test_skipped(): pytest.skip("no network")
        @pytest.mark.modes("plain", reason="native partitions")
        def test_left_out(database): pass
    """)
    result = run(suite, "--mode", "plain", "--mode", "timescale")
    start = next(at for at, line in enumerate(result.outlines) if " tests by mode " in line)
    assert [line.split() for line in result.outlines[start + 1 : start + 5]] == [
        ["mode", "passed", "failed", "skipped", "left", "out"],
        ["no", "mode", "0", "0", "1", "0"],
        ["plain", "3", "1", "0", "0"],
        ["timescale", "1", "2", "0", "1"],
    ]
    assert result.outlines[start + 5 : start + 7] == [
        "no mode: 1 skipped: no network",
        "timescale: 1 left out: native partitions",
    ]
    counts = {"failed": 1, "passed": 4, "skipped": 1, "errors": 2, "deselected": 1}
    assert result.parseoutcomes() == counts
    assert all(f"{count} {outcome}" in result.outlines[-1] for outcome, count in counts.items())


@pytest.mark.parametrize(
    "marker", ["'plain'", "reason='x'", "'wrong', reason='x'"], ids=["reason", "names", "name"]
)
def test_modes_marker_given_too_little_is_refused(suite: pytest.Pytester, marker: str) -> None:
    """Whoever leaves a mode out says which and why."""
    suite.makepyfile(f"import pytest\n@pytest.mark.modes({marker})\ndef test_a(database): pass")
    result = run(suite)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert any("takes names of storage modes and a reason" in line for line in result.errlines)


@pytest.mark.parametrize(("variable", "expected"), [("", "skipped"), ("true", "errors")])
def test_server_given_it_cannot_be_had_is_skipped_but_in_ci_fails(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, variable: str, expected: str
) -> None:
    """A machine without a server can be worked on; CI must not pass without it."""
    monkeypatch.setenv("CI", variable)
    suite.makepyfile("""
        import pytest
        from tests.support.servers.provision import NotProvisionedError, skip_or_fail

        @pytest.fixture
        def postgres(database): skip_or_fail(NotProvisionedError("apt knows no mirror"))

        def test_a(postgres): pass
    """)
    result = run(suite, "--mode", "apache")
    assert result.parseoutcomes() == {expected: 1}
    assert any("apt knows no mirror" in line for line in result.outlines)
