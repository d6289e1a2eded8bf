"""Every image's state, durable: `DIR/inflamap.db`, one row an image.

The states, and all ways between them:

    (not known) ──arrived──► waiting ──finished──► scored | withheld
                             ▲ ▲ ▲ │                        │
               failed ──due──┘ │ │ └──failed──► failed      │
                               │ │                          │
                               │ └─────arrived, retried─────┘
                               └──postponed, recovered (from waiting itself)

- *arrived*: the file has come to rest with marks (`runtime.file_state`) that the row does not hold yet.
- *taken*: the image is in hand. That is no state: `begun` is set, and a row that still has it when a watch starts was
  interrupted. It is taken again after all others; one that interrupts again and again is given up as failed, for it
  may be what ends the program.
- *finished*: score.json, overlay and map are on the disk. Never set before they are.
- *failed*: the file cannot be read or its result cannot be written, and the failure record beside the results says so;
  it becomes due again by itself, after ever longer pauses, because most of what fails heals (a lock, a copy that goes
  on, a share that comes back). What cannot heal by itself is not due before its content changes. A file that is gone is
  not waited for: it arrives when it comes back.
- *postponed*: the content is not the one that arrived any more, changed while the image was in hand, or is held by
  another program, or the disk takes nothing; nothing was written, it comes to its turn again.
- *retried*: a person wants it scored anew, whatever its record says; or another version of inflamap starts, which may
  read what this one could not.

Two ways lead past the states: *restored*, a result or a failure that only its own files tell of becomes scored,
withheld or failed when the ledger was lost; and *dropped*, a failed image that is gone and has no result leaves no row.

Each row has a checksum (`runtime.ledger.checksum`). A ledger that is damaged is set aside at a start of the watch and
made anew of the results (`runtime.ledger.damage`, `runtime.ledger.start`).

Times are Unix seconds. An image's identity is its path below the watched folder, as bytes: names need not be UTF-8.
"""

from runtime.ledger.ledger import Ledger, open_ledger
from runtime.ledger.row import ImageRow, State

__all__ = ["ImageRow", "Ledger", "State", "open_ledger"]
