-- Who follows a live feed, and up to where its bars are complete. The same in all storage modes.

-- Prices some times a second, made into minutes here: below the chart, which has every trade.
INSERT INTO market_feed (provider, feed, rank) VALUES ('yahoo', 'stream', 150);

CREATE TABLE feed_lease (
    feed           text PRIMARY KEY,
    epoch          bigint NOT NULL DEFAULT 1,
    owner          text NOT NULL,
    lease_until    timestamptz NOT NULL,
    complete_until timestamptz,
    state          text NOT NULL DEFAULT 'down' CHECK (state IN ('down', 'catching_up', 'live')),
    problem        text NOT NULL DEFAULT '',
    changed_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON COLUMN feed_lease.epoch IS
    'One more with every process that takes the feed over: a write of an earlier one is refused.';
COMMENT ON COLUMN feed_lease.lease_until IS 'Up to when its owner has it to itself, by this clock.';
COMMENT ON COLUMN feed_lease.complete_until IS
    'All bars of it that open before are stored; whoever follows it next begins there. NULL: none are.';
COMMENT ON COLUMN feed_lease.problem IS 'Why it is down, for people.';
