-- Why somebody changed what the log says: a deletion has a reason.

ALTER TABLE bar_change ADD COLUMN reason text NOT NULL DEFAULT '';
