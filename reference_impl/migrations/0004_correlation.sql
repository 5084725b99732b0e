-- Each step bears the correlation id under which it was taken: in the logs of all who took part, it finds the rest.
-- Steps from before this migration have none. A version of the service that does not know the column writes none either.
ALTER TABLE transitions ADD COLUMN correlation text NOT NULL DEFAULT '';
