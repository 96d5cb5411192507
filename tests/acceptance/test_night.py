"""main.py as cron runs it, from Canvas to the dashboard's tables, on real servers and real workers."""

from __future__ import annotations

from pathlib import Path

from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests import truth
from tests.installation import (
    DASHBOARD,
    SUPERVISORCTL,
    Installation,
    contents,
    production_programs,
    rows,
    supervisord,
    worker_states,
)
from tests.nights import truth as told
from tests.support import until
from udecdash_updater import dispatch
from udecdash_updater.settings import Settings
from udecdash_updater.stages import STAGES

NAMES = [stage.name for stage in STAGES]
RUNNING = dict.fromkeys(("udecdash-workers:first_queue_00", "udecdash-workers:course_too_long_00"), "RUNNING")


def workers_are_done(services: Settings) -> bool:
    return until(lambda: not dispatch.due_courses(services))


def test_nights_in_turn_give_the_figures_of_their_truth_with_real_workers(
    installation: Installation, services: Settings, database: Connection, small_nights: Path
) -> None:
    site = installation
    site.fill_in()  # the workers read .env as soon as they start
    with supervisord(site.folder / "supervisor", production_programs(site.folder)) as config:
        site.values |= {"SERVER_SUPERVISORD_COMMAND_PATH": SUPERVISORCTL, "SUPERVISOR_CONFIG": str(config)}
        ended = site.run()
        assert ended.out == ""  # cron mails whatever stands there
        assert workers_are_done(services)
        assert truth.wrong_night(database, told(small_nights / "night1")) == []
        assert site.page == DASHBOARD
        assert worker_states(config) == RUNNING

        site.serve(2)
        site.forget_regrown(small_nights / "night2")
        site.run(CLEAR_DIRECTORIES_BEFORE_DOWNLOAD="True")
        assert workers_are_done(services)
        assert truth.wrong_cumulative(database, told(small_nights / "night2")) == []

        before = contents(database)
        site.run()
        assert workers_are_done(services)
        assert contents(database) == before
    assert site.mail.mails == []
    assert rows(database, "select id, exit_code, error, warnings from udecdash.runs order by id") == [
        (run, 0, None, []) for run in (1, 2, 3)
    ]
    stages = rows(database, "select run_id, name, outcome from udecdash.stages order by run_id, position")
    assert stages == [(run, name, "done") for run in (1, 2, 3) for name in NAMES]
    assert rows(database, "select distinct run_id from udecdash.files order by 1") == [(1,), (2,), (3,)]
