-- The schema 0003, the oldest that was released, as SQLite keeps it.

CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

CREATE TABLE alerts (
	id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(36) NOT NULL,
	dedup_key TEXT NOT NULL,
	occurrence TEXT NOT NULL,
	status TEXT NOT NULL,
	kind TEXT NOT NULL,
	severity TEXT NOT NULL,
	title TEXT NOT NULL,
	body TEXT NOT NULL,
	run_id VARCHAR(36),
	labels TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	resolved_at BIGINT,
	PRIMARY KEY (id),
	UNIQUE (workspace_id, dedup_key, occurrence)
);

CREATE TABLE api_tokens (
	id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(36) NOT NULL,
	user_id VARCHAR(36),
	name TEXT NOT NULL,
	kind TEXT NOT NULL,
	prefix TEXT NOT NULL,
	digest VARCHAR NOT NULL,
	scopes TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT,
	last_used_at BIGINT,
	revoked_at BIGINT,
	PRIMARY KEY (id),
	UNIQUE (digest)
);

CREATE TABLE attempts (
	id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(36) NOT NULL,
	run_id VARCHAR(36) NOT NULL,
	number BIGINT NOT NULL,
	epoch BIGINT NOT NULL,
	queue TEXT NOT NULL,
	state TEXT NOT NULL,
	worker_id VARCHAR(36),
	host TEXT NOT NULL,
	boot_id TEXT NOT NULL,
	pid INTEGER,
	pid_started TEXT NOT NULL,
	published_at BIGINT,
	claimed_at BIGINT,
	lease_until BIGINT,
	ended_at BIGINT,
	PRIMARY KEY (id),
	UNIQUE (run_id, number)
);

CREATE TABLE audit (
	id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(36) NOT NULL,
	at BIGINT NOT NULL,
	actor TEXT NOT NULL,
	op TEXT NOT NULL,
	target TEXT NOT NULL,
	detail TEXT NOT NULL,
	PRIMARY KEY (id)
);

CREATE TABLE automations (
	id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(36) NOT NULL,
	name TEXT NOT NULL,
	description TEXT NOT NULL,
	enabled BOOLEAN NOT NULL,
	"trigger" TEXT NOT NULL,
	actions TEXT NOT NULL,
	version BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	PRIMARY KEY (id),
	UNIQUE (workspace_id, name)
);

CREATE TABLE channels (
	id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(36) NOT NULL,
	name TEXT NOT NULL,
	label TEXT NOT NULL,
	scheme TEXT NOT NULL,
	sealed BLOB,
	key_id TEXT NOT NULL,
	enabled BOOLEAN NOT NULL,
	disabled_reason TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	PRIMARY KEY (id),
	UNIQUE (workspace_id, name)
);

CREATE TABLE command_outcomes (
	command_id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(36) NOT NULL,
	op TEXT NOT NULL,
	target TEXT NOT NULL,
	via TEXT NOT NULL,
	actor TEXT NOT NULL,
	status TEXT NOT NULL,
	code TEXT NOT NULL,
	result TEXT NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (command_id)
);

CREATE TABLE deliveries (
	id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(36) NOT NULL,
	alert_id VARCHAR(36) NOT NULL,
	channel_id VARCHAR(36) NOT NULL,
	attempt BIGINT NOT NULL,
	status TEXT NOT NULL,
	due_at BIGINT NOT NULL,
	claimed_until BIGINT,
	started_at BIGINT,
	ended_at BIGINT,
	error_class TEXT,
	error TEXT,
	PRIMARY KEY (id),
	UNIQUE (alert_id, channel_id, attempt)
);

CREATE TABLE deployments (
	id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(36) NOT NULL,
	name TEXT NOT NULL,
	flow_name TEXT NOT NULL,
	entrypoint TEXT NOT NULL,
	description TEXT NOT NULL,
	parameters TEXT NOT NULL,
	parameter_schema TEXT NOT NULL,
	tags TEXT NOT NULL,
	queue TEXT NOT NULL,
	retry_policy TEXT NOT NULL,
	timeout_s FLOAT,
	crash_retries BIGINT NOT NULL,
	paused BOOLEAN NOT NULL,
	version BIGINT NOT NULL,
	code_digest TEXT,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	PRIMARY KEY (id),
	UNIQUE (workspace_id, name)
);

CREATE TABLE effects (
	id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(36) NOT NULL,
	kind TEXT NOT NULL,
	"key" TEXT NOT NULL,
	payload TEXT NOT NULL,
	due_at BIGINT NOT NULL,
	tries BIGINT NOT NULL,
	claimed_by TEXT,
	claimed_until BIGINT,
	done_at BIGINT,
	dead_at BIGINT,
	error TEXT,
	PRIMARY KEY (id),
	UNIQUE (kind, "key")
);

CREATE TABLE events (
	id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(36) NOT NULL,
	seq BIGINT,
	hash TEXT,
	type TEXT NOT NULL,
	source TEXT NOT NULL,
	subject TEXT NOT NULL,
	run_id VARCHAR(36),
	at BIGINT NOT NULL,
	actor TEXT NOT NULL,
	schema_version BIGINT NOT NULL,
	body TEXT NOT NULL,
	private TEXT,
	PRIMARY KEY (id),
	UNIQUE (seq)
);

CREATE TABLE firings (
	automation_id VARCHAR(36) NOT NULL,
	event_id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(36) NOT NULL,
	at BIGINT NOT NULL,
	outcome TEXT NOT NULL,
	run_id VARCHAR(36),
	error TEXT,
	PRIMARY KEY (automation_id, event_id)
);

CREATE TABLE leaders (
	name VARCHAR NOT NULL,
	holder TEXT NOT NULL,
	fence BIGINT NOT NULL,
	lease_until BIGINT NOT NULL,
	PRIMARY KEY (name)
);

CREATE TABLE links (
	id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(36) NOT NULL,
	name TEXT NOT NULL,
	url TEXT NOT NULL,
	sealed_token BLOB,
	key_id TEXT NOT NULL,
	site_id TEXT NOT NULL,
	plane_epoch TEXT NOT NULL,
	"primary" BOOLEAN NOT NULL,
	authority_id TEXT NOT NULL,
	level TEXT NOT NULL,
	acked_seq BIGINT,
	command_cursor BIGINT NOT NULL,
	fence BIGINT NOT NULL,
	status TEXT NOT NULL,
	last_contact_at BIGINT,
	last_error TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	disconnected_at BIGINT,
	PRIMARY KEY (id),
	UNIQUE (workspace_id, name)
);

CREATE TABLE logs (
	id INTEGER NOT NULL,
	workspace_id VARCHAR(36) NOT NULL,
	run_id VARCHAR(36) NOT NULL,
	task_run_id VARCHAR(36),
	attempt BIGINT NOT NULL,
	at BIGINT NOT NULL,
	level BIGINT NOT NULL,
	logger TEXT NOT NULL,
	message TEXT NOT NULL,
	PRIMARY KEY (id)
);

CREATE TABLE plane_commands (
	id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(36) NOT NULL,
	site_row VARCHAR(36) NOT NULL,
	seq BIGINT NOT NULL,
	op TEXT NOT NULL,
	target TEXT NOT NULL,
	args TEXT NOT NULL,
	authority_id TEXT NOT NULL,
	issued_at BIGINT NOT NULL,
	issued_by TEXT NOT NULL,
	expires_at BIGINT,
	withdrawn_at BIGINT,
	outcome TEXT,
	outcome_at BIGINT,
	PRIMARY KEY (id),
	UNIQUE (site_row, seq)
);

CREATE TABLE plane_events (
	site_row VARCHAR(36) NOT NULL,
	stream_epoch VARCHAR NOT NULL,
	seq INTEGER NOT NULL,
	workspace_id VARCHAR(36) NOT NULL,
	event TEXT NOT NULL,
	hash TEXT NOT NULL,
	received_at BIGINT NOT NULL,
	PRIMARY KEY (site_row, stream_epoch, seq)
);

CREATE TABLE plane_runs (
	site_row VARCHAR(36) NOT NULL,
	run_id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(36) NOT NULL,
	run TEXT NOT NULL,
	state_type TEXT NOT NULL,
	version BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	cancel_requested_at BIGINT,
	snapshot BIGINT NOT NULL,
	orphaned_at BIGINT,
	PRIMARY KEY (site_row, run_id)
);

CREATE TABLE plane_sites (
	id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(36) NOT NULL,
	site_id TEXT NOT NULL,
	name TEXT NOT NULL,
	token_id TEXT NOT NULL,
	stream_epoch TEXT NOT NULL,
	acked_seq BIGINT NOT NULL,
	chain_hash TEXT NOT NULL,
	fence BIGINT NOT NULL,
	authority_id TEXT NOT NULL,
	command_head BIGINT NOT NULL,
	command_delivered BIGINT NOT NULL,
	plane_epoch TEXT NOT NULL,
	status TEXT NOT NULL,
	last_seen_at BIGINT,
	created_at BIGINT NOT NULL,
	removed_at BIGINT,
	PRIMARY KEY (id),
	UNIQUE (workspace_id, site_id)
);

CREATE TABLE plugin_values (
	workspace_id VARCHAR(36) NOT NULL,
	plugin VARCHAR NOT NULL,
	name VARCHAR NOT NULL,
	value TEXT,
	updated_at BIGINT NOT NULL,
	PRIMARY KEY (workspace_id, plugin, name)
);

CREATE TABLE receipt_keys (
	source_id VARCHAR(36) NOT NULL,
	"key" VARCHAR NOT NULL,
	receipt_id VARCHAR(36) NOT NULL,
	expires_at BIGINT NOT NULL,
	PRIMARY KEY (source_id, "key")
);

CREATE TABLE receipts (
	id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(36) NOT NULL,
	source_id VARCHAR(36) NOT NULL,
	received_at BIGINT NOT NULL,
	method TEXT NOT NULL,
	"query" TEXT NOT NULL,
	headers TEXT NOT NULL,
	body BLOB,
	body_size BIGINT NOT NULL,
	remote TEXT NOT NULL,
	verdict TEXT NOT NULL,
	reason TEXT NOT NULL,
	secret_id VARCHAR(36),
	event_type TEXT,
	delivery_id TEXT,
	duplicate_of VARCHAR(36),
	replay_of VARCHAR(36),
	answer_status BIGINT NOT NULL,
	duplicates BIGINT NOT NULL,
	processed_at BIGINT,
	events BIGINT NOT NULL,
	error TEXT,
	PRIMARY KEY (id)
);

CREATE TABLE runs (
	id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(36) NOT NULL,
	name TEXT NOT NULL,
	flow_name TEXT NOT NULL,
	deployment_id VARCHAR(36),
	deployment_name TEXT,
	entrypoint TEXT,
	parent_run_id VARCHAR(36),
	parent_task_run_id VARCHAR(36),
	restart_of VARCHAR(36),
	home TEXT NOT NULL,
	queue TEXT NOT NULL,
	origin TEXT NOT NULL,
	origin_id VARCHAR(36),
	created_by TEXT NOT NULL,
	idempotency_key TEXT,
	tags TEXT NOT NULL,
	parameters TEXT NOT NULL,
	state_type TEXT NOT NULL,
	state_name TEXT NOT NULL,
	state_message TEXT NOT NULL,
	version BIGINT NOT NULL,
	attempt BIGINT NOT NULL,
	epoch BIGINT NOT NULL,
	retries_used BIGINT NOT NULL,
	crashes BIGINT NOT NULL,
	crash_retries BIGINT NOT NULL,
	retry_policy TEXT NOT NULL,
	timeout_s FLOAT,
	created_at BIGINT NOT NULL,
	due_at BIGINT NOT NULL,
	started_at BIGINT,
	ended_at BIGINT,
	updated_at BIGINT NOT NULL,
	error_type TEXT,
	error_message TEXT,
	error_trace TEXT,
	result BLOB,
	result_format TEXT,
	PRIMARY KEY (id),
	UNIQUE (workspace_id, idempotency_key)
);

CREATE TABLE schedules (
	id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(36) NOT NULL,
	deployment_id VARCHAR(36) NOT NULL,
	kind TEXT NOT NULL,
	spec TEXT NOT NULL,
	timezone TEXT NOT NULL,
	anchor_at BIGINT,
	parameters TEXT NOT NULL,
	active BOOLEAN NOT NULL,
	next_at BIGINT,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	PRIMARY KEY (id)
);

CREATE TABLE secrets (
	id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(36) NOT NULL,
	name TEXT NOT NULL,
	sealed BLOB,
	key_id TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	PRIMARY KEY (id),
	UNIQUE (workspace_id, name)
);

CREATE TABLE site_values (
	name VARCHAR NOT NULL,
	value TEXT,
	PRIMARY KEY (name)
);

CREATE TABLE source_secrets (
	id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(36) NOT NULL,
	source_id VARCHAR(36) NOT NULL,
	name TEXT NOT NULL,
	sealed BLOB,
	key_id TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT,
	PRIMARY KEY (id)
);

CREATE TABLE sources (
	id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(36) NOT NULL,
	name TEXT NOT NULL,
	preset TEXT NOT NULL,
	options TEXT NOT NULL,
	token_digest VARCHAR NOT NULL,
	old_token_digest VARCHAR,
	old_token_until BIGINT,
	mode TEXT NOT NULL,
	verify_none BOOLEAN NOT NULL,
	enabled BOOLEAN NOT NULL,
	max_body BIGINT NOT NULL,
	rate_per_minute BIGINT NOT NULL,
	keep_s BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	deleted_at BIGINT,
	PRIMARY KEY (id),
	UNIQUE (workspace_id, name),
	UNIQUE (token_digest)
);

CREATE TABLE states (
	id INTEGER NOT NULL,
	workspace_id VARCHAR(36) NOT NULL,
	run_id VARCHAR(36) NOT NULL,
	task_run_id VARCHAR(36),
	type TEXT NOT NULL,
	name TEXT NOT NULL,
	message TEXT NOT NULL,
	attempt BIGINT NOT NULL,
	at BIGINT NOT NULL,
	actor TEXT NOT NULL,
	PRIMARY KEY (id)
);

CREATE TABLE task_runs (
	id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(36) NOT NULL,
	run_id VARCHAR(36) NOT NULL,
	journal_key TEXT NOT NULL,
	task_name TEXT NOT NULL,
	name TEXT NOT NULL,
	parent_task_run_id VARCHAR(36),
	upstream TEXT NOT NULL,
	state_type TEXT NOT NULL,
	state_name TEXT NOT NULL,
	state_message TEXT NOT NULL,
	version BIGINT NOT NULL,
	run_attempt BIGINT NOT NULL,
	attempt BIGINT NOT NULL,
	retries_used BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	due_at BIGINT,
	started_at BIGINT,
	ended_at BIGINT,
	error_type TEXT,
	error_message TEXT,
	error_trace TEXT,
	result BLOB,
	result_format TEXT,
	PRIMARY KEY (id),
	UNIQUE (run_id, journal_key)
);

CREATE TABLE ticks (
	schedule_id VARCHAR(36) NOT NULL,
	planned_at BIGINT NOT NULL,
	workspace_id VARCHAR(36) NOT NULL,
	run_id VARCHAR(36),
	at BIGINT NOT NULL,
	PRIMARY KEY (schedule_id, planned_at)
);

CREATE TABLE users (
	id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(36) NOT NULL,
	name TEXT NOT NULL,
	role TEXT NOT NULL,
	password_hash VARCHAR,
	session_epoch INTEGER NOT NULL,
	created_at BIGINT NOT NULL,
	disabled_at BIGINT,
	PRIMARY KEY (id),
	UNIQUE (workspace_id, name)
);

CREATE TABLE work_pools (
	id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(36) NOT NULL,
	name TEXT NOT NULL,
	launcher TEXT NOT NULL,
	options TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (id),
	UNIQUE (workspace_id, name)
);

CREATE TABLE work_queues (
	id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(36) NOT NULL,
	pool_id VARCHAR(36) NOT NULL,
	name TEXT NOT NULL,
	priority BIGINT NOT NULL,
	slots INTEGER,
	paused BOOLEAN NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (id),
	UNIQUE (workspace_id, name)
);

CREATE TABLE workers (
	id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(36) NOT NULL,
	name TEXT NOT NULL,
	host TEXT NOT NULL,
	boot_id TEXT NOT NULL,
	pid BIGINT NOT NULL,
	pid_started TEXT NOT NULL,
	version TEXT NOT NULL,
	queues TEXT NOT NULL,
	slots BIGINT NOT NULL,
	status TEXT NOT NULL,
	started_at BIGINT NOT NULL,
	lease_until BIGINT NOT NULL,
	canary_sent_at BIGINT,
	canary_seen_at BIGINT,
	ended_at BIGINT,
	PRIMARY KEY (id)
);

CREATE TABLE workspaces (
	id VARCHAR(36) NOT NULL,
	name TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (id)
);

CREATE INDEX ix_alerts_run_id ON alerts (run_id);

CREATE INDEX ix_alerts_ws ON alerts (workspace_id, id);

CREATE INDEX ix_alerts_ws_status ON alerts (workspace_id, status, id);

CREATE INDEX ix_api_tokens_workspace_id ON api_tokens (workspace_id);

CREATE INDEX ix_attempts_live ON attempts (worker_id, lease_until) WHERE state in ('PUBLISHED','CLAIMED');

CREATE INDEX ix_audit_ws ON audit (workspace_id, id);

CREATE INDEX ix_automations_ws ON automations (workspace_id, id);

CREATE INDEX ix_command_outcomes_at ON command_outcomes (at);

CREATE INDEX ix_deliveries_due ON deliveries (due_at) WHERE status IN ('pending','sending');

CREATE INDEX ix_deliveries_ws ON deliveries (workspace_id, id);

CREATE INDEX ix_deployments_ws ON deployments (workspace_id, id);

CREATE INDEX ix_effects_done ON effects (done_at);

CREATE INDEX ix_effects_due ON effects (kind, due_at) WHERE done_at IS NULL AND dead_at IS NULL;

CREATE INDEX ix_events_at ON events (at);

CREATE INDEX ix_events_unstamped ON events (id) WHERE seq IS NULL;

CREATE INDEX ix_events_ws_run ON events (workspace_id, run_id, seq) WHERE run_id IS NOT NULL;

CREATE INDEX ix_events_ws_seq ON events (workspace_id, seq);

CREATE INDEX ix_events_ws_type ON events (workspace_id, type, seq);

CREATE INDEX ix_firings_at ON firings (at);

CREATE INDEX ix_firings_event ON firings (event_id);

CREATE INDEX ix_logs_run ON logs (run_id, id);

CREATE INDEX ix_plane_runs_ws ON plane_runs (workspace_id, run_id);

CREATE INDEX ix_receipt_keys_expires ON receipt_keys (expires_at);

CREATE INDEX ix_receipts_at ON receipts (received_at);

CREATE INDEX ix_receipts_source_rare ON receipts (workspace_id, source_id, verdict, id) WHERE verdict <> 'accepted';

CREATE INDEX ix_receipts_ws ON receipts (workspace_id, id);

CREATE INDEX ix_receipts_ws_rare ON receipts (workspace_id, verdict, id) WHERE verdict <> 'accepted';

CREATE INDEX ix_receipts_ws_source ON receipts (workspace_id, source_id, id);

CREATE INDEX ix_runs_due ON runs (queue, due_at) WHERE state_type = 'SCHEDULED';

CREATE INDEX ix_runs_ended ON runs (ended_at);

CREATE INDEX ix_runs_ws ON runs (workspace_id, id);

CREATE INDEX ix_runs_ws_deployment ON runs (workspace_id, deployment_id, id);

CREATE INDEX ix_runs_ws_flow ON runs (workspace_id, flow_name, id);

CREATE INDEX ix_runs_ws_parent ON runs (workspace_id, parent_run_id, id);

CREATE INDEX ix_runs_ws_state ON runs (workspace_id, state_type, id);

CREATE INDEX ix_schedules_deployment_id ON schedules (deployment_id);

CREATE INDEX ix_schedules_next ON schedules (active, next_at);

CREATE INDEX ix_schedules_ws ON schedules (workspace_id, id);

CREATE INDEX ix_source_secrets_source_id ON source_secrets (source_id);

CREATE INDEX ix_sources_old_token_digest ON sources (old_token_digest);

CREATE INDEX ix_sources_ws ON sources (workspace_id, id);

CREATE INDEX ix_states_run ON states (run_id, id);

CREATE INDEX ix_task_runs_run ON task_runs (run_id, id);

CREATE INDEX ix_ticks_at ON ticks (at);

CREATE INDEX ix_workers_workspace_id ON workers (workspace_id);

INSERT INTO alembic_version (version_num) VALUES ('0003');
