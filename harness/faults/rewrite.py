from collections.abc import AsyncIterator

from harness.faults import Touched, fault
from harness.stack import Stack


@fault
async def rewrite(stack: Stack) -> AsyncIterator[Touched]:
    """Somebody who owns the database changes a text that stands in it, past every trigger: the one that the target's [rewrite]
    names. What was there before is written back when the fault ends. Nobody sees anything on any wire.
    """
    what = stack.target.rewrite
    if what is None:
        raise LookupError(f"{stack.target.name} has no [rewrite]")
    async with stack.owner() as connection:
        await connection.execute("SET session_replication_role = replica")  # in which no trigger of the service's fires
        found = await connection.fetchrow(
            f"SELECT ctid, {what.column} AS was FROM {what.table} WHERE {what.where} LIMIT 1"  # noqa: S608 - the target's words
        )
        change = f"UPDATE {what.table} SET {what.column} = $1 WHERE ctid = $2 RETURNING ctid"  # noqa: S608
        row = found and await connection.fetchval(change, what.value, found["ctid"])

        async def touched() -> int:
            return int(found is not None)

        try:
            yield touched
        finally:
            if found is not None:
                await connection.execute(change, found["was"], row)
