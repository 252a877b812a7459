-- Each refresh changes its row, and no column that an index has. Where a page has room, the changed row stays on it
-- and no index is written (a heap-only tuple); without room it goes to another page, and every index learns of it.
-- Pages that are written from now on keep a tenth for that. A table that was cut into partitions has its pages there.
DO $$
BEGIN
    IF (SELECT relkind FROM pg_class WHERE oid = 'sessions'::regclass) = 'r' THEN
        ALTER TABLE sessions SET (fillfactor = 90);
    END IF;
END
$$;
