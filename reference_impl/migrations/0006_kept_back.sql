-- Refunds and disputes that came with a report that was set aside, as when a payment is captured in parts and one of them
-- goes back before the last has come. They were acknowledged, so nobody tells of them again: they are posted with the credit.
CREATE TABLE kept_back (
    payment text NOT NULL,
    effect  text NOT NULL,
    event   text NOT NULL,
    PRIMARY KEY (payment, effect)
);
