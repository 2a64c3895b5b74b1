-- Format 2. Runs of priority wait before the others. A build that knows only format 1 would give them the lock in order of
-- creation, and so must not open the file.

CREATE INDEX runs_priority ON runs (service, environment)
    WHERE queue = 'priority' AND outcome IS NULL AND superseded_by IS NULL;
