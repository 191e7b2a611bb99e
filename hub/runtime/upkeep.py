"""The upkeep process: every loop that keeps the hub going, and those of plugins. Any number may run."""

from __future__ import annotations

import logging
import os
import signal

from hub.plugins import Context, Loop
from hub.runtime import brought, contributed, plugging, presets, process
from hub.runtime.automations import Automations
from hub.runtime.awaited import Awaited
from hub.runtime.broker import broker_url
from hub.runtime.cancelling import CancelOn
from hub.runtime.collecting import Collector
from hub.runtime.commands import register_given
from hub.runtime.consumers import Consumers
from hub.runtime.dispatch import Dispatcher
from hub.runtime.effects import Effects
from hub.runtime.lanes import Lanes
from hub.runtime.plugin_reports import INTERVAL, TOPIC, Reporter
from hub.runtime.publish import Publisher
from hub.runtime.retention import Retention
from hub.runtime.runner import Runner
from hub.runtime.sagas import Sagas
from hub.runtime.scheduler import Scheduler
from hub.runtime.sending import Sender
from hub.runtime.sequencer import Sequencer
from hub.runtime.silence import Silence
from hub.runtime.statistics import Statistics
from hub.runtime.sweeper import Sweeper
from hub.runtime.taskstates import TaskStates
from hub.runtime.waits import Waits
from hub.settings import Settings
from hub.store import open_hub
from hub.store.base import Store

log = logging.getLogger("hub.upkeep")


def run(settings: Settings) -> int:
    """Be the upkeep process until SIGTERM; gives the exit status. The store must be migrated."""
    process.share_heap()
    signals = process.Signals(signal.SIGTERM, signal.SIGINT)
    store = open_hub(settings)
    plugins = plugging.load(settings, process="upkeep", store=store)
    presets.install(plugins.hooks)
    contributed.install(plugins.hooks)
    brought.remember(store)
    register_given(plugins.hooks.commands())
    plugins.hooks.startup()
    sequencer = Sequencer(store)
    reports = Loop("plugins", Reporter(store, plugins).step, topics=(TOPIC,), interval=INTERVAL)
    given = [loop for loop in plugins.hooks.loops() if isinstance(loop, Loop)]
    consumers, sender = Consumers(store), Sender(store, settings)
    runner = Runner(store, [*core_loops(plugins.context, sequencer), consumers.loop(), sender.loop(), reports, *given])
    runner.start()
    while not signals.wait(3600.0)[0] & {signal.SIGTERM, signal.SIGINT}:
        continue
    plugins.hooks.shutdown("signal")
    left = runner.stop()
    consumers.close()
    sender.close()
    sequencer.close()
    store.close()
    if left:
        log.warning("these did not end in time: %s", ", ".join(left))
        # A thread that hangs in somebody's plugin must not keep the process.
        os._exit(0)
    return 0


def core_loops(ctx: Context, sequencer: Sequencer) -> list[Loop]:
    """The loops of the hub itself."""
    store: Store = ctx.store
    settings = ctx.settings
    poll = settings.poll_interval
    url = broker_url(settings)
    sweeper = Sweeper(
        store,
        Publisher(url),
        claim_timeout=settings.claim_timeout,
        lease_renew=settings.lease_renew,
        interval=poll,
    )
    return [
        Dispatcher(store, Publisher(url), poll).loop(),
        sweeper.loop(),
        Lanes(store, poll).loop(),
        Sagas(store, poll).loop(),
        Waits(store, poll).loop(),
        Awaited(store, poll).loop(),
        CancelOn(store, poll).loop(),
        Scheduler(store, poll).loop(),
        Silence(store, poll).loop(),
        sequencer.loop(poll),
        Automations(store, poll).loop(),
        # Apart, so that a plugin that is slow to hear of runs does not hold up what the door has taken in.
        Effects(ctx, ("receipt",), poll, pace=0.005).loop(),
        Effects(ctx, ("run_state",), poll, pace=0.1, linger=0.03).loop(),
        *([TaskStates(ctx, poll).loop()] if ctx.hooks.implemented("hub_task_state") else []),
        Effects(ctx, ("state_hook", "alert"), poll, pace=0.1).loop(),
        Retention(store, settings).loop(),
        Collector(store, settings).loop(),
        *([Statistics(store).loop()] if store.dialect == "postgresql" else []),
    ]
