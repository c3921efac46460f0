-- Messages that no target took, one row each. `create: true` of a `postgres` actor runs this where the table is not
-- there yet, with the actor's own name of the table in place of this one.
CREATE TABLE failed_webhooks (
    id uuid PRIMARY KEY,
    request_id text,
    payload jsonb,
    message_id text,
    error_message text,
    error_stack text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON failed_webhooks (request_id);
CREATE INDEX ON failed_webhooks (message_id);
CREATE INDEX ON failed_webhooks (created_at);
