'use strict';
// Node-RED without its editor, as it runs in production; PORT and FLOW come from the environment, and so does
// ADMIN_ROOT, where the flow is deployed anew.
module.exports = {
  uiHost: '127.0.0.1',
  uiPort: Number(process.env.PORT),
  flowFile: process.env.FLOW,
  readOnly: !process.env.ADMIN_ROOT,
  httpAdminRoot: process.env.ADMIN_ROOT || false,
  disableEditor: true,
  credentialSecret: false,
  telemetry: { enabled: false },
  logging: { console: { level: 'warn', metrics: false, audit: false } },
};
