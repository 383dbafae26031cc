BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE audit (
	number INTEGER NOT NULL, 
	at DOUBLE NOT NULL, 
	run_id TEXT NOT NULL, 
	cluster TEXT NOT NULL, 
	who TEXT NOT NULL, 
	what TEXT NOT NULL, 
	detail JSON NOT NULL, 
	CONSTRAINT pk_audit PRIMARY KEY (number)
);
INSERT INTO "audit" VALUES(1,10.0,'up-lab-1','lab','alice','started','{"nodes":["pve1"]}');
CREATE TABLE commands (
	number INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	text TEXT NOT NULL, 
	slash TEXT NOT NULL, 
	user TEXT NOT NULL, 
	channel TEXT NOT NULL, 
	response_url TEXT NOT NULL, 
	at DOUBLE NOT NULL, 
	state TEXT NOT NULL, 
	CONSTRAINT pk_commands PRIMARY KEY (number), 
	CONSTRAINT uq_commands_id UNIQUE (id)
);
INSERT INTO "commands" VALUES(1,'trigger-1','cluster lab','/upgrade','alice','C1','',9.0,'saved');
CREATE TABLE events (
	number INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	at DOUBLE NOT NULL, 
	CONSTRAINT pk_events PRIMARY KEY (number), 
	CONSTRAINT uq_events_id UNIQUE (id)
);
INSERT INTO "events" VALUES(1,'Ev1',9.0);
CREATE TABLE journal (
	number INTEGER NOT NULL, 
	run_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	value JSON, 
	at DOUBLE NOT NULL, 
	CONSTRAINT pk_journal PRIMARY KEY (number), 
	CONSTRAINT fk_journal_run_id FOREIGN KEY(run_id) REFERENCES runs (id), 
	CONSTRAINT uq_journal_run_id_key_kind UNIQUE (run_id, "key", kind)
);
INSERT INTO "journal" VALUES(1,'up-lab-1','pve1.drain','intent','null',11.0);
INSERT INTO "journal" VALUES(2,'up-lab-1','pve1.drain','result','{"moved":[101]}',12.0);
CREATE TABLE orders (
	id INTEGER NOT NULL, 
	run_id TEXT NOT NULL, 
	verb TEXT NOT NULL, 
	about TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	"by" TEXT NOT NULL, 
	at DOUBLE NOT NULL, 
	source TEXT NOT NULL, 
	CONSTRAINT pk_orders PRIMARY KEY (id), 
	CONSTRAINT uq_orders_source UNIQUE (source)
);
INSERT INTO "orders" VALUES(1,'up-lab-1','pause','','a storm','bob',14.5,'trigger-2');
CREATE TABLE outbox (
	id INTEGER NOT NULL, 
	run_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	message JSON NOT NULL, 
	created_at DOUBLE NOT NULL, 
	next_at DOUBLE NOT NULL, 
	tried_at DOUBLE, 
	tries INTEGER NOT NULL, 
	delivered_at DOUBLE, 
	channel TEXT NOT NULL, 
	ts TEXT NOT NULL, 
	error TEXT NOT NULL, 
	rendered TEXT NOT NULL, 
	CONSTRAINT pk_outbox PRIMARY KEY (id), 
	CONSTRAINT uq_outbox_run_id_key UNIQUE (run_id, "key")
);
INSERT INTO "outbox" VALUES(1,'up-lab-1','pve1.said','{"kind":"note","text":"drained"}',12.0,0.0,13.0,1,14.0,'C1','17.01','','');
CREATE TABLE runs (
	number INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	workflow TEXT NOT NULL, 
	cluster TEXT NOT NULL, 
	args JSON NOT NULL, 
	state TEXT NOT NULL, 
	created_at DOUBLE NOT NULL, 
	created_by TEXT NOT NULL, 
	wake_at DOUBLE NOT NULL, 
	poked BOOLEAN NOT NULL, 
	parked JSON, 
	result JSON, 
	finished_at DOUBLE, 
	CONSTRAINT pk_runs PRIMARY KEY (number), 
	CONSTRAINT uq_runs_id UNIQUE (id)
);
INSERT INTO "runs" VALUES(1,'up-lab-1','rolling_upgrade','lab','{"nodes":["pve1"]}','active',10.0,'alice',10.0,1,'null','null',NULL);
CREATE TABLE votes (
	number INTEGER NOT NULL, 
	run_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	user TEXT NOT NULL, 
	mark TEXT NOT NULL, 
	given BOOLEAN NOT NULL, 
	at DOUBLE NOT NULL, 
	CONSTRAINT pk_votes PRIMARY KEY (number)
);
INSERT INTO "votes" VALUES(1,'up-lab-1','pve1.ask','carol','approve',1,15.0);
CREATE INDEX ix_audit_cluster ON audit (cluster);
CREATE INDEX ix_audit_run_id ON audit (run_id);
CREATE INDEX ix_commands_state ON commands (state);
CREATE INDEX ix_orders_run_id ON orders (run_id);
CREATE INDEX ix_outbox_channel_ts ON outbox (channel, ts);
CREATE INDEX ix_outbox_delivered_at_next_at ON outbox (delivered_at, next_at);
CREATE INDEX ix_runs_state_wake_at ON runs (state, wake_at);
CREATE INDEX ix_votes_run_id_key ON votes (run_id, "key");
COMMIT;
