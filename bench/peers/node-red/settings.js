'use strict';
// Node-RED without its editor, as it runs in production; PORT and FLOW come from the environment.
module.exports = {
  uiHost: '127.0.0.1',
  uiPort: Number(process.env.PORT),
  flowFile: process.env.FLOW,
  readOnly: true,
  httpAdminRoot: false,
  credentialSecret: false,
  telemetry: { enabled: false },
  logging: { console: { level: 'warn', metrics: false, audit: false } },
};
