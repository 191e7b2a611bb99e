-- The schema 0003, the oldest that was released, as pg_dump gives it.

CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);

CREATE TABLE public.alerts (
    id character varying(36) NOT NULL,
    workspace_id character varying(36) NOT NULL,
    dedup_key text NOT NULL,
    occurrence text NOT NULL,
    status text NOT NULL,
    kind text NOT NULL,
    severity text NOT NULL,
    title text NOT NULL,
    body text NOT NULL,
    run_id character varying(36),
    labels text NOT NULL,
    created_at bigint NOT NULL,
    resolved_at bigint
);

CREATE TABLE public.api_tokens (
    id character varying(36) NOT NULL,
    workspace_id character varying(36) NOT NULL,
    user_id character varying(36),
    name text NOT NULL,
    kind text NOT NULL,
    prefix text NOT NULL,
    digest character varying NOT NULL,
    scopes text NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint,
    last_used_at bigint,
    revoked_at bigint
);

CREATE TABLE public.attempts (
    id character varying(36) NOT NULL,
    workspace_id character varying(36) NOT NULL,
    run_id character varying(36) NOT NULL,
    number bigint NOT NULL,
    epoch bigint NOT NULL,
    queue text NOT NULL,
    state text NOT NULL,
    worker_id character varying(36),
    host text NOT NULL,
    boot_id text NOT NULL,
    pid integer,
    pid_started text NOT NULL,
    published_at bigint,
    claimed_at bigint,
    lease_until bigint,
    ended_at bigint
);

CREATE TABLE public.audit (
    id character varying(36) NOT NULL,
    workspace_id character varying(36) NOT NULL,
    at bigint NOT NULL,
    actor text NOT NULL,
    op text NOT NULL,
    target text NOT NULL,
    detail text NOT NULL
);

CREATE TABLE public.automations (
    id character varying(36) NOT NULL,
    workspace_id character varying(36) NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    enabled boolean NOT NULL,
    trigger text NOT NULL,
    actions text NOT NULL,
    version bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);

CREATE TABLE public.channels (
    id character varying(36) NOT NULL,
    workspace_id character varying(36) NOT NULL,
    name text NOT NULL,
    label text NOT NULL,
    scheme text NOT NULL,
    sealed bytea,
    key_id text NOT NULL,
    enabled boolean NOT NULL,
    disabled_reason text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);

CREATE TABLE public.command_outcomes (
    command_id character varying(36) NOT NULL,
    workspace_id character varying(36) NOT NULL,
    op text NOT NULL,
    target text NOT NULL,
    via text NOT NULL,
    actor text NOT NULL,
    status text NOT NULL,
    code text NOT NULL,
    result text NOT NULL,
    at bigint NOT NULL
);

CREATE TABLE public.deliveries (
    id character varying(36) NOT NULL,
    workspace_id character varying(36) NOT NULL,
    alert_id character varying(36) NOT NULL,
    channel_id character varying(36) NOT NULL,
    attempt bigint NOT NULL,
    status text NOT NULL,
    due_at bigint NOT NULL,
    claimed_until bigint,
    started_at bigint,
    ended_at bigint,
    error_class text,
    error text
);

CREATE TABLE public.deployments (
    id character varying(36) NOT NULL,
    workspace_id character varying(36) NOT NULL,
    name text NOT NULL,
    flow_name text NOT NULL,
    entrypoint text NOT NULL,
    description text NOT NULL,
    parameters text NOT NULL,
    parameter_schema text NOT NULL,
    tags text NOT NULL,
    queue text NOT NULL,
    retry_policy text NOT NULL,
    timeout_s double precision,
    crash_retries bigint NOT NULL,
    paused boolean NOT NULL,
    version bigint NOT NULL,
    code_digest text,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);

CREATE TABLE public.effects (
    id character varying(36) NOT NULL,
    workspace_id character varying(36) NOT NULL,
    kind text NOT NULL,
    key text NOT NULL,
    payload text NOT NULL,
    due_at bigint NOT NULL,
    tries bigint NOT NULL,
    claimed_by text,
    claimed_until bigint,
    done_at bigint,
    dead_at bigint,
    error text
);

CREATE TABLE public.events (
    id character varying(36) NOT NULL,
    workspace_id character varying(36) NOT NULL,
    seq bigint,
    hash text,
    type text NOT NULL,
    source text NOT NULL,
    subject text NOT NULL,
    run_id character varying(36),
    at bigint NOT NULL,
    actor text NOT NULL,
    schema_version bigint NOT NULL,
    body text NOT NULL,
    private text
);

CREATE TABLE public.firings (
    automation_id character varying(36) NOT NULL,
    event_id character varying(36) NOT NULL,
    workspace_id character varying(36) NOT NULL,
    at bigint NOT NULL,
    outcome text NOT NULL,
    run_id character varying(36),
    error text
);

CREATE TABLE public.leaders (
    name character varying NOT NULL,
    holder text NOT NULL,
    fence bigint NOT NULL,
    lease_until bigint NOT NULL
);

CREATE TABLE public.links (
    id character varying(36) NOT NULL,
    workspace_id character varying(36) NOT NULL,
    name text NOT NULL,
    url text NOT NULL,
    sealed_token bytea,
    key_id text NOT NULL,
    site_id text NOT NULL,
    plane_epoch text NOT NULL,
    "primary" boolean NOT NULL,
    authority_id text NOT NULL,
    level text NOT NULL,
    acked_seq bigint,
    command_cursor bigint NOT NULL,
    fence bigint NOT NULL,
    status text NOT NULL,
    last_contact_at bigint,
    last_error text NOT NULL,
    created_at bigint NOT NULL,
    disconnected_at bigint
);

CREATE TABLE public.logs (
    id bigint NOT NULL,
    workspace_id character varying(36) NOT NULL,
    run_id character varying(36) NOT NULL,
    task_run_id character varying(36),
    attempt bigint NOT NULL,
    at bigint NOT NULL,
    level bigint NOT NULL,
    logger text NOT NULL,
    message text NOT NULL
);

CREATE SEQUENCE public.logs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.logs_id_seq OWNED BY public.logs.id;

CREATE TABLE public.plane_commands (
    id character varying(36) NOT NULL,
    workspace_id character varying(36) NOT NULL,
    site_row character varying(36) NOT NULL,
    seq bigint NOT NULL,
    op text NOT NULL,
    target text NOT NULL,
    args text NOT NULL,
    authority_id text NOT NULL,
    issued_at bigint NOT NULL,
    issued_by text NOT NULL,
    expires_at bigint,
    withdrawn_at bigint,
    outcome text,
    outcome_at bigint
);

CREATE TABLE public.plane_events (
    site_row character varying(36) NOT NULL,
    stream_epoch character varying NOT NULL,
    seq bigint NOT NULL,
    workspace_id character varying(36) NOT NULL,
    event text NOT NULL,
    hash text NOT NULL,
    received_at bigint NOT NULL
);

CREATE TABLE public.plane_runs (
    site_row character varying(36) NOT NULL,
    run_id character varying(36) NOT NULL,
    workspace_id character varying(36) NOT NULL,
    run text NOT NULL,
    state_type text NOT NULL,
    version bigint NOT NULL,
    updated_at bigint NOT NULL,
    cancel_requested_at bigint,
    snapshot bigint NOT NULL,
    orphaned_at bigint
);

CREATE TABLE public.plane_sites (
    id character varying(36) NOT NULL,
    workspace_id character varying(36) NOT NULL,
    site_id text NOT NULL,
    name text NOT NULL,
    token_id text NOT NULL,
    stream_epoch text NOT NULL,
    acked_seq bigint NOT NULL,
    chain_hash text NOT NULL,
    fence bigint NOT NULL,
    authority_id text NOT NULL,
    command_head bigint NOT NULL,
    command_delivered bigint NOT NULL,
    plane_epoch text NOT NULL,
    status text NOT NULL,
    last_seen_at bigint,
    created_at bigint NOT NULL,
    removed_at bigint
);

CREATE TABLE public.plugin_values (
    workspace_id character varying(36) NOT NULL,
    plugin character varying NOT NULL,
    name character varying NOT NULL,
    value text,
    updated_at bigint NOT NULL
);

CREATE TABLE public.receipt_keys (
    source_id character varying(36) NOT NULL,
    key character varying NOT NULL,
    receipt_id character varying(36) NOT NULL,
    expires_at bigint NOT NULL
);

CREATE TABLE public.receipts (
    id character varying(36) NOT NULL,
    workspace_id character varying(36) NOT NULL,
    source_id character varying(36) NOT NULL,
    received_at bigint NOT NULL,
    method text NOT NULL,
    query text NOT NULL,
    headers text NOT NULL,
    body bytea,
    body_size bigint NOT NULL,
    remote text NOT NULL,
    verdict text NOT NULL,
    reason text NOT NULL,
    secret_id character varying(36),
    event_type text,
    delivery_id text,
    duplicate_of character varying(36),
    replay_of character varying(36),
    answer_status bigint NOT NULL,
    duplicates bigint NOT NULL,
    processed_at bigint,
    events bigint NOT NULL,
    error text
);

CREATE TABLE public.runs (
    id character varying(36) NOT NULL,
    workspace_id character varying(36) NOT NULL,
    name text NOT NULL,
    flow_name text NOT NULL,
    deployment_id character varying(36),
    deployment_name text,
    entrypoint text,
    parent_run_id character varying(36),
    parent_task_run_id character varying(36),
    restart_of character varying(36),
    home text NOT NULL,
    queue text NOT NULL,
    origin text NOT NULL,
    origin_id character varying(36),
    created_by text NOT NULL,
    idempotency_key text,
    tags text NOT NULL,
    parameters text NOT NULL,
    state_type text NOT NULL,
    state_name text NOT NULL,
    state_message text NOT NULL,
    version bigint NOT NULL,
    attempt bigint NOT NULL,
    epoch bigint NOT NULL,
    retries_used bigint NOT NULL,
    crashes bigint NOT NULL,
    crash_retries bigint NOT NULL,
    retry_policy text NOT NULL,
    timeout_s double precision,
    created_at bigint NOT NULL,
    due_at bigint NOT NULL,
    started_at bigint,
    ended_at bigint,
    updated_at bigint NOT NULL,
    error_type text,
    error_message text,
    error_trace text,
    result bytea,
    result_format text
);

CREATE TABLE public.schedules (
    id character varying(36) NOT NULL,
    workspace_id character varying(36) NOT NULL,
    deployment_id character varying(36) NOT NULL,
    kind text NOT NULL,
    spec text NOT NULL,
    timezone text NOT NULL,
    anchor_at bigint,
    parameters text NOT NULL,
    active boolean NOT NULL,
    next_at bigint,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);

CREATE TABLE public.secrets (
    id character varying(36) NOT NULL,
    workspace_id character varying(36) NOT NULL,
    name text NOT NULL,
    sealed bytea,
    key_id text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);

CREATE TABLE public.site_values (
    name character varying NOT NULL,
    value text
);

CREATE TABLE public.source_secrets (
    id character varying(36) NOT NULL,
    workspace_id character varying(36) NOT NULL,
    source_id character varying(36) NOT NULL,
    name text NOT NULL,
    sealed bytea,
    key_id text NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint
);

CREATE TABLE public.sources (
    id character varying(36) NOT NULL,
    workspace_id character varying(36) NOT NULL,
    name text NOT NULL,
    preset text NOT NULL,
    options text NOT NULL,
    token_digest character varying NOT NULL,
    old_token_digest character varying,
    old_token_until bigint,
    mode text NOT NULL,
    verify_none boolean NOT NULL,
    enabled boolean NOT NULL,
    max_body bigint NOT NULL,
    rate_per_minute bigint NOT NULL,
    keep_s bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    deleted_at bigint
);

CREATE TABLE public.states (
    id bigint NOT NULL,
    workspace_id character varying(36) NOT NULL,
    run_id character varying(36) NOT NULL,
    task_run_id character varying(36),
    type text NOT NULL,
    name text NOT NULL,
    message text NOT NULL,
    attempt bigint NOT NULL,
    at bigint NOT NULL,
    actor text NOT NULL
);

CREATE SEQUENCE public.states_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.states_id_seq OWNED BY public.states.id;

CREATE TABLE public.task_runs (
    id character varying(36) NOT NULL,
    workspace_id character varying(36) NOT NULL,
    run_id character varying(36) NOT NULL,
    journal_key text NOT NULL,
    task_name text NOT NULL,
    name text NOT NULL,
    parent_task_run_id character varying(36),
    upstream text NOT NULL,
    state_type text NOT NULL,
    state_name text NOT NULL,
    state_message text NOT NULL,
    version bigint NOT NULL,
    run_attempt bigint NOT NULL,
    attempt bigint NOT NULL,
    retries_used bigint NOT NULL,
    created_at bigint NOT NULL,
    due_at bigint,
    started_at bigint,
    ended_at bigint,
    error_type text,
    error_message text,
    error_trace text,
    result bytea,
    result_format text
);

CREATE TABLE public.ticks (
    schedule_id character varying(36) NOT NULL,
    planned_at bigint NOT NULL,
    workspace_id character varying(36) NOT NULL,
    run_id character varying(36),
    at bigint NOT NULL
);

CREATE TABLE public.users (
    id character varying(36) NOT NULL,
    workspace_id character varying(36) NOT NULL,
    name text NOT NULL,
    role text NOT NULL,
    password_hash character varying,
    session_epoch integer NOT NULL,
    created_at bigint NOT NULL,
    disabled_at bigint
);

CREATE TABLE public.work_pools (
    id character varying(36) NOT NULL,
    workspace_id character varying(36) NOT NULL,
    name text NOT NULL,
    launcher text NOT NULL,
    options text NOT NULL,
    created_at bigint NOT NULL
);

CREATE TABLE public.work_queues (
    id character varying(36) NOT NULL,
    workspace_id character varying(36) NOT NULL,
    pool_id character varying(36) NOT NULL,
    name text NOT NULL,
    priority bigint NOT NULL,
    slots integer,
    paused boolean NOT NULL,
    created_at bigint NOT NULL
);

CREATE TABLE public.workers (
    id character varying(36) NOT NULL,
    workspace_id character varying(36) NOT NULL,
    name text NOT NULL,
    host text NOT NULL,
    boot_id text NOT NULL,
    pid bigint NOT NULL,
    pid_started text NOT NULL,
    version text NOT NULL,
    queues text NOT NULL,
    slots bigint NOT NULL,
    status text NOT NULL,
    started_at bigint NOT NULL,
    lease_until bigint NOT NULL,
    canary_sent_at bigint,
    canary_seen_at bigint,
    ended_at bigint
);

CREATE TABLE public.workspaces (
    id character varying(36) NOT NULL,
    name text NOT NULL,
    created_at bigint NOT NULL
);

ALTER TABLE ONLY public.logs ALTER COLUMN id SET DEFAULT nextval('public.logs_id_seq'::regclass);

ALTER TABLE ONLY public.states ALTER COLUMN id SET DEFAULT nextval('public.states_id_seq'::regclass);

ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);

ALTER TABLE ONLY public.alerts
    ADD CONSTRAINT alerts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.alerts
    ADD CONSTRAINT alerts_workspace_id_dedup_key_occurrence_key UNIQUE (workspace_id, dedup_key, occurrence);

ALTER TABLE ONLY public.api_tokens
    ADD CONSTRAINT api_tokens_digest_key UNIQUE (digest);

ALTER TABLE ONLY public.api_tokens
    ADD CONSTRAINT api_tokens_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.attempts
    ADD CONSTRAINT attempts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.attempts
    ADD CONSTRAINT attempts_run_id_number_key UNIQUE (run_id, number);

ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.automations
    ADD CONSTRAINT automations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.automations
    ADD CONSTRAINT automations_workspace_id_name_key UNIQUE (workspace_id, name);

ALTER TABLE ONLY public.channels
    ADD CONSTRAINT channels_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.channels
    ADD CONSTRAINT channels_workspace_id_name_key UNIQUE (workspace_id, name);

ALTER TABLE ONLY public.command_outcomes
    ADD CONSTRAINT command_outcomes_pkey PRIMARY KEY (command_id);

ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT deliveries_alert_id_channel_id_attempt_key UNIQUE (alert_id, channel_id, attempt);

ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT deliveries_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.deployments
    ADD CONSTRAINT deployments_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.deployments
    ADD CONSTRAINT deployments_workspace_id_name_key UNIQUE (workspace_id, name);

ALTER TABLE ONLY public.effects
    ADD CONSTRAINT effects_kind_key_key UNIQUE (kind, key);

ALTER TABLE ONLY public.effects
    ADD CONSTRAINT effects_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_seq_key UNIQUE (seq);

ALTER TABLE ONLY public.firings
    ADD CONSTRAINT firings_pkey PRIMARY KEY (automation_id, event_id);

ALTER TABLE ONLY public.leaders
    ADD CONSTRAINT leaders_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.links
    ADD CONSTRAINT links_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.links
    ADD CONSTRAINT links_workspace_id_name_key UNIQUE (workspace_id, name);

ALTER TABLE ONLY public.logs
    ADD CONSTRAINT logs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.plane_commands
    ADD CONSTRAINT plane_commands_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.plane_commands
    ADD CONSTRAINT plane_commands_site_row_seq_key UNIQUE (site_row, seq);

ALTER TABLE ONLY public.plane_events
    ADD CONSTRAINT plane_events_pkey PRIMARY KEY (site_row, stream_epoch, seq);

ALTER TABLE ONLY public.plane_runs
    ADD CONSTRAINT plane_runs_pkey PRIMARY KEY (site_row, run_id);

ALTER TABLE ONLY public.plane_sites
    ADD CONSTRAINT plane_sites_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.plane_sites
    ADD CONSTRAINT plane_sites_workspace_id_site_id_key UNIQUE (workspace_id, site_id);

ALTER TABLE ONLY public.plugin_values
    ADD CONSTRAINT plugin_values_pkey PRIMARY KEY (workspace_id, plugin, name);

ALTER TABLE ONLY public.receipt_keys
    ADD CONSTRAINT receipt_keys_pkey PRIMARY KEY (source_id, key);

ALTER TABLE ONLY public.receipts
    ADD CONSTRAINT receipts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.runs
    ADD CONSTRAINT runs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.runs
    ADD CONSTRAINT runs_workspace_id_idempotency_key_key UNIQUE (workspace_id, idempotency_key);

ALTER TABLE ONLY public.schedules
    ADD CONSTRAINT schedules_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.secrets
    ADD CONSTRAINT secrets_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.secrets
    ADD CONSTRAINT secrets_workspace_id_name_key UNIQUE (workspace_id, name);

ALTER TABLE ONLY public.site_values
    ADD CONSTRAINT site_values_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.source_secrets
    ADD CONSTRAINT source_secrets_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.sources
    ADD CONSTRAINT sources_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.sources
    ADD CONSTRAINT sources_token_digest_key UNIQUE (token_digest);

ALTER TABLE ONLY public.sources
    ADD CONSTRAINT sources_workspace_id_name_key UNIQUE (workspace_id, name);

ALTER TABLE ONLY public.states
    ADD CONSTRAINT states_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.task_runs
    ADD CONSTRAINT task_runs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.task_runs
    ADD CONSTRAINT task_runs_run_id_journal_key_key UNIQUE (run_id, journal_key);

ALTER TABLE ONLY public.ticks
    ADD CONSTRAINT ticks_pkey PRIMARY KEY (schedule_id, planned_at);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_workspace_id_name_key UNIQUE (workspace_id, name);

ALTER TABLE ONLY public.work_pools
    ADD CONSTRAINT work_pools_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.work_pools
    ADD CONSTRAINT work_pools_workspace_id_name_key UNIQUE (workspace_id, name);

ALTER TABLE ONLY public.work_queues
    ADD CONSTRAINT work_queues_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.work_queues
    ADD CONSTRAINT work_queues_workspace_id_name_key UNIQUE (workspace_id, name);

ALTER TABLE ONLY public.workers
    ADD CONSTRAINT workers_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.workspaces
    ADD CONSTRAINT workspaces_pkey PRIMARY KEY (id);

CREATE INDEX ix_alerts_run_id ON public.alerts USING btree (run_id);

CREATE INDEX ix_alerts_ws ON public.alerts USING btree (workspace_id, id);

CREATE INDEX ix_alerts_ws_status ON public.alerts USING btree (workspace_id, status, id);

CREATE INDEX ix_api_tokens_workspace_id ON public.api_tokens USING btree (workspace_id);

CREATE INDEX ix_attempts_live ON public.attempts USING btree (worker_id, lease_until) WHERE (state = ANY (ARRAY['PUBLISHED'::text, 'CLAIMED'::text]));

CREATE INDEX ix_audit_ws ON public.audit USING btree (workspace_id, id);

CREATE INDEX ix_automations_ws ON public.automations USING btree (workspace_id, id);

CREATE INDEX ix_command_outcomes_at ON public.command_outcomes USING btree (at);

CREATE INDEX ix_deliveries_due ON public.deliveries USING btree (due_at) WHERE (status = ANY (ARRAY['pending'::text, 'sending'::text]));

CREATE INDEX ix_deliveries_ws ON public.deliveries USING btree (workspace_id, id);

CREATE INDEX ix_deployments_ws ON public.deployments USING btree (workspace_id, id);

CREATE INDEX ix_effects_done ON public.effects USING btree (done_at);

CREATE INDEX ix_effects_due ON public.effects USING btree (kind, due_at) WHERE ((done_at IS NULL) AND (dead_at IS NULL));

CREATE INDEX ix_events_at ON public.events USING btree (at);

CREATE INDEX ix_events_unstamped ON public.events USING btree (id) WHERE (seq IS NULL);

CREATE INDEX ix_events_ws_run ON public.events USING btree (workspace_id, run_id, seq) WHERE (run_id IS NOT NULL);

CREATE INDEX ix_events_ws_seq ON public.events USING btree (workspace_id, seq);

CREATE INDEX ix_events_ws_type ON public.events USING btree (workspace_id, type, seq);

CREATE INDEX ix_firings_at ON public.firings USING btree (at);

CREATE INDEX ix_firings_event ON public.firings USING btree (event_id);

CREATE INDEX ix_logs_run ON public.logs USING btree (run_id, id);

CREATE INDEX ix_plane_runs_ws ON public.plane_runs USING btree (workspace_id, run_id);

CREATE INDEX ix_receipt_keys_expires ON public.receipt_keys USING btree (expires_at);

CREATE INDEX ix_receipts_at ON public.receipts USING btree (received_at);

CREATE INDEX ix_receipts_source_rare ON public.receipts USING btree (workspace_id, source_id, verdict, id) WHERE (verdict <> 'accepted'::text);

CREATE INDEX ix_receipts_ws ON public.receipts USING btree (workspace_id, id);

CREATE INDEX ix_receipts_ws_rare ON public.receipts USING btree (workspace_id, verdict, id) WHERE (verdict <> 'accepted'::text);

CREATE INDEX ix_receipts_ws_source ON public.receipts USING btree (workspace_id, source_id, id);

CREATE INDEX ix_runs_due ON public.runs USING btree (queue, due_at) WHERE (state_type = 'SCHEDULED'::text);

CREATE INDEX ix_runs_ended ON public.runs USING btree (ended_at);

CREATE INDEX ix_runs_ws ON public.runs USING btree (workspace_id, id);

CREATE INDEX ix_runs_ws_deployment ON public.runs USING btree (workspace_id, deployment_id, id);

CREATE INDEX ix_runs_ws_flow ON public.runs USING btree (workspace_id, flow_name, id);

CREATE INDEX ix_runs_ws_parent ON public.runs USING btree (workspace_id, parent_run_id, id);

CREATE INDEX ix_runs_ws_state ON public.runs USING btree (workspace_id, state_type, id);

CREATE INDEX ix_schedules_deployment_id ON public.schedules USING btree (deployment_id);

CREATE INDEX ix_schedules_next ON public.schedules USING btree (active, next_at);

CREATE INDEX ix_schedules_ws ON public.schedules USING btree (workspace_id, id);

CREATE INDEX ix_source_secrets_source_id ON public.source_secrets USING btree (source_id);

CREATE INDEX ix_sources_old_token_digest ON public.sources USING btree (old_token_digest);

CREATE INDEX ix_sources_ws ON public.sources USING btree (workspace_id, id);

CREATE INDEX ix_states_run ON public.states USING btree (run_id, id);

CREATE INDEX ix_task_runs_run ON public.task_runs USING btree (run_id, id);

CREATE INDEX ix_ticks_at ON public.ticks USING btree (at);

CREATE INDEX ix_workers_workspace_id ON public.workers USING btree (workspace_id);

INSERT INTO public.alembic_version (version_num) VALUES ('0003');
