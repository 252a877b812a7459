-- What the present master key has inherited from those before it, sealed under the present one; none for
-- the first.
ALTER TABLE installation ADD COLUMN inheritance BLOB;
