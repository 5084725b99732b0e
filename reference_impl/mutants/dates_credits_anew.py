from typing_extensions import override

from reference_impl.migrate import Schema
from reference_impl.mutants import mutant

_IN_PLACE = """
DROP TRIGGER append_only ON postings;
CREATE FUNCTION date_anew() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    UPDATE postings SET at = NEW.at WHERE payment = NEW.payment AND kind = 'credit';
    RETURN NULL;
END $$;
CREATE TRIGGER dates_anew AFTER INSERT ON postings FOR EACH ROW WHEN (NEW.kind = 'refund') EXECUTE FUNCTION date_anew()
"""


@mutant(caught_by="entries-never-change", under="refunded-after-the-books-were-read")
class DatesCreditsAnew(Schema):
    """Takes the trigger away that makes postings append-only, and has the credit dated anew, in place, when a part of it goes back.

    Seen in public: github.com/frappe/erpnext/issues/51023.
    """

    @override
    def further(self) -> list[tuple[str, str]]:
        """The migrations that a version after this one brings along."""
        return [*super().further(), ("9900_dates_in_place.sql", _IN_PLACE)]
