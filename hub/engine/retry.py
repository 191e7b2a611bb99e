"""When a failed attempt may be tried again, and after how long."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how far apart. All delays in seconds.

    `delays` lists fixed delays, the last one repeating; with `backoff` the delay of try n is
    `delays[0] * backoff ** n`, at most `cap`. `jitter` 0.2 spreads it by up to 20 % either way. With a `budget` no
    retry is due later than that many seconds after the first start.
    """

    retries: int = 0
    delays: tuple[float, ...] = (0.0,)
    backoff: float = 1.0
    cap: float = 3600.0
    jitter: float = 0.0
    budget: float | None = None

    def left(self, used: int) -> bool:
        """Whether another try remains after `used` retries."""
        return used < self.retries

    def affords(self, delay: float, *, spent: float) -> bool:
        """Whether a retry after `delay` seconds is within the budget, of which `spent` seconds are gone."""
        return self.budget is None or spent + delay <= self.budget

    def delay(self, used: int, *, spread: float = 0.5, asked: float = 0.0) -> float:
        """Seconds to wait before retry number `used` (from 0). `spread` in [0, 1] chooses the jitter.

        `asked`: seconds that the other side asked for. They make the delay longer, up to the cap, never shorter.
        """
        return max(self._own_delay(used, spread), min(asked, self.cap))

    def _own_delay(self, used: int, spread: float) -> float:
        if not self.delays:
            return 0.0
        if self.backoff != 1.0:
            # 64 doublings are past any cap; the bound keeps a huge count from overflowing a float.
            base = self.delays[0] * self.backoff ** min(used, 64)
        else:
            base = self.delays[min(used, len(self.delays) - 1)]
        base = min(base, self.cap)
        return max(0.0, min(base * (1 + self.jitter * (2 * spread - 1)), self.cap))


NEVER = RetryPolicy()
