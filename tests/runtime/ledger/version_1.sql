-- the schema that version 1 of the ledger was made with, and what set its header
CREATE TABLE images (
    path BLOB PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'scored', 'withheld', 'failed')),
    reason TEXT NOT NULL DEFAULT '',
    -- of the content that arrived
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    arrived REAL NOT NULL,
    -- when it may be taken; NULL: not at all
    due REAL,
    -- set while it is in hand
    begun REAL,
    attempts INTEGER NOT NULL DEFAULT 0,
    interruptions INTEGER NOT NULL DEFAULT 0,
    redo INTEGER NOT NULL DEFAULT 0,
    finished REAL,
    sha256 TEXT, um_per_px REAL,
    score REAL, grade INTEGER, withheld_fraction REAL, area_fraction TEXT,
    model TEXT, model_sha256 TEXT, engine TEXT, precision TEXT, synthetic INTEGER,
    read_ms REAL, infer_ms REAL, write_ms REAL, total_ms REAL,
    score_file BLOB, overlay_file BLOB, map_file BLOB
) WITHOUT ROWID;
CREATE INDEX images_in_turn ON images (interruptions, redo, arrived, path) WHERE due IS NOT NULL;
CREATE INDEX images_due ON images (due) WHERE due IS NOT NULL;
CREATE INDEX images_finished ON images (finished) WHERE finished IS NOT NULL;
CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL);
PRAGMA application_id = 1768842860;
PRAGMA user_version = 1;
