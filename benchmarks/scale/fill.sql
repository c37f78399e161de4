-- Rows %(first)s to %(last)s of a job table of %(rows)s rows, spread over 30 days. All follows from a row's number, so
-- that two tables of one size have the same mixture.
INSERT INTO django_backie_job
    (id, task, backend, queue, priority, state, reason, arguments, body, result, error_class, error_message, attempt,
     max_attempts, crashes, worker, enqueued_at, run_after, started_at, last_attempted_at, finished_at, version, settled)
WITH numbers AS (
    SELECT number, md5(number::text) AS random,
        %(newest)s::timestamptz - (%(rows)s - number) * (interval '30 days' / %(rows)s) AS at
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) number
), drawn AS (
    SELECT *,
        ('x' || substr(random, 1, 6))::bit(24)::int %% 1000 AS share,
        ('x' || substr(random, 9, 6))::bit(24)::int %% 100 AS detour,
        ('x' || substr(random, 17, 6))::bit(24)::int %% 1000 AS fate,
        (extract(epoch FROM at) * 1000)::bigint AS ms
    FROM numbers
), mixed AS (
    SELECT drawn.*, shares.task, CASE WHEN detour = 0 THEN %(detour)s ELSE shares.queue END AS queue,
        CASE
            -- The youngest are still on their way.
            WHEN %(rows)s - number < %(young)s
                THEN (ARRAY['READY', 'READY', 'RUNNING', 'SCHEDULED', 'RETRYABLE'])[1 + number %% 5]
            WHEN fate < 1 THEN 'BLOCKED'
            WHEN fate < 11 THEN 'CANCELLED'
            WHEN fate < 51 AND shares.task <> %(flawless)s THEN 'FAILED'
            ELSE 'SUCCESSFUL'
        END AS state
    FROM drawn JOIN (VALUES {shares}) shares (task, queue, low, high) ON share >= low AND share < high
)
SELECT
    (lpad(to_hex(ms), 12, '0') || '7' || substr(random, 1, 3) || '8' || substr(random, 4, 15))::uuid,
    task, 'default', queue, 0, state,
    CASE state WHEN 'BLOCKED' THEN 'unknown task' ELSE '' END,
    jsonb_build_object('order', number, 'customer', 'customer-' || number || '@example.com'),
    E'1\n' || queue || E'\n0\n' || substr(random, 1, 22) || E'\n' || repeat(random, 7),
    CASE state WHEN 'SUCCESSFUL' THEN 'null' ELSE '' END,
    CASE state WHEN 'FAILED' THEN 'builtins.TimeoutError' ELSE '' END,
    CASE state WHEN 'FAILED' THEN 'the server did not answer within 10 seconds' ELSE '' END,
    CASE WHEN state IN ('READY', 'SCHEDULED') THEN 0 WHEN state = 'FAILED' THEN 5 ELSE 1 END,
    5, 0,
    CASE WHEN state IN ('READY', 'SCHEDULED') THEN '' ELSE 'host-' || number %% 20 || ':1.0' END,
    at,
    CASE state WHEN 'SCHEDULED' THEN at + interval '1 day' END,
    CASE WHEN state NOT IN ('READY', 'SCHEDULED') THEN at + interval '1 second' END,
    CASE WHEN state NOT IN ('READY', 'SCHEDULED') THEN at + interval '1 second' END,
    CASE WHEN state IN ('SUCCESSFUL', 'FAILED', 'CANCELLED') THEN at + interval '1.5 seconds' END,
    CASE WHEN %(rows)s - number < %(unpushed)s AND state = 'READY' THEN 0 ELSE ms + 1500 END,
    false
FROM mixed
