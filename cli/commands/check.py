"""`bundle check`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .. import console
from ..tags import BundleTag

if TYPE_CHECKING:
    from ...bundler.check.check import Report

DIFFERENT = 1


@click.command()
@click.argument("tag", type=BundleTag())
@click.option(
    "--rtol",
    type=click.FloatRange(min=0),
    help="Relative tolerance of floating-point outputs.  [1e-5; float16, bfloat16: 1e-2]",
)
@click.option(
    "--atol",
    type=click.FloatRange(min=0),
    help="Absolute tolerance of floating-point outputs.  [1e-6; float16, bfloat16: 1e-3]",
)
@click.option(
    "--no-routes", is_flag=True, help="Call no routes: they would write to a database, or ask others."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(tag: Any, rtol: float | None, atol: float | None, no_routes: bool, as_json: bool) -> int:
    """Try a bundle in a clean environment made from its lock.

    The service is imported there, and the examples that were recorded with the models are run; their outputs
    must be those that were recorded. Then each route is called with an example, and must answer: what it
    answered when the bundle was built with --check, where that is known. Exit code 1 when something differs.
    """
    import msgspec

    from ...bundler import bundles
    from ...bundler.check.check import check
    from ...runtime.model.compare import Tolerance
    from ...runtime.verify import verify_before_serving

    bundle = bundles.get(tag)
    verify_before_serving(bundle.path)
    with console.progress("make a clean environment", quiet=as_json) as progress:
        report = check(
            bundle.path,
            bundle.info,
            tolerance=Tolerance(rtol, atol),
            routes=not no_routes,
            on_step=progress.update,
        )
    if as_json:
        plain = msgspec.to_builtins(report)
        console.emit_json({"tag": str(bundle.tag), "ok": report.ok, **plain, "problems": report.problems()})
    else:
        console.panel(f"Checked {bundle.tag}", facts(report))
        for problem in report.problems():
            console.error(problem)
    return 0 if report.ok else DIFFERENT


def facts(report: Report) -> list[tuple[str, object]]:
    """Rows for a panel."""
    kept = "kept from before" if report.cached else "made anew"
    tried: dict[str, list[str]] = {}
    for one in report.results:
        if one.ok:
            tried.setdefault(one.model, []).append(f"{one.method}()")
    called = [one for one in report.routes if one.ok and not one.untried]
    same, answered = (
        ", ".join(one.route for one in called if one.compared is each) for each in (True, False)
    )
    return [
        ("environment", f"Python {report.python}, {report.packages} packages of the lock, {kept}"),
        ("service", "not imported" if report.error else "imported"),
        *(("same outputs", f"{model}: {', '.join(methods)}") for model, methods in tried.items()),
        ("same answers", same),
        ("answered", answered),
        ("other outputs", report.failed or ""),
        ("without example", ", ".join(report.untried)),
        *(("not tried", f"{one.route}: {one.untried}") for one in report.routes if one.untried),
        ("took", f"{report.seconds:.1f} s"),
    ]
